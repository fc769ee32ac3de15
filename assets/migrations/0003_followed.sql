-- What is needed to follow a turn from another process.

-- Why it did not end well: a fault as JSON.
ALTER TABLE turn ADD COLUMN fault TEXT;
-- What of the tools the round's request offers.
ALTER TABLE round ADD COLUMN tools INTEGER;
ALTER TABLE round ADD COLUMN tools_hash TEXT;
-- It runs one turn and nothing else: ended, it takes nothing else with it.
ALTER TABLE process ADD COLUMN single INTEGER NOT NULL DEFAULT 0 CHECK (single IN (0, 1));
