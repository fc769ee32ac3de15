-- What erasing by age goes by, beside the last change.

-- When it came to stay: imported, brought back, or no longer pinned. 0: never but by its beginning.
ALTER TABLE conversation ADD COLUMN arrived INTEGER NOT NULL DEFAULT 0;
-- One row at most: since when erasing waits, as the clock may be wrong.
CREATE TABLE put_off (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at   INTEGER NOT NULL
) STRICT;
