-- Whole results, compressed where that pays: text as it is, or zlib's bytes of it (`squeezed` and `whole` of the
-- program know both). And what is still to be done once something was erased.

CREATE TABLE whole_result (
    call INTEGER PRIMARY KEY REFERENCES call(no) ON DELETE CASCADE,
    full ANY NOT NULL
) STRICT;
INSERT INTO whole_result (call, full) SELECT call, squeezed(full) FROM result;
DROP TABLE result;
ALTER TABLE whole_result RENAME TO result;

CREATE TABLE chore (
    -- `scrub`: rows were removed for good; what the index, the free pages and the log still hold of them must go.
    what TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
