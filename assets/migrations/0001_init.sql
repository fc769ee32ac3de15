-- The first schema. Messages form a tree; a conversation's head names the branch that is shown.
-- Integer keys (`no`) join the tables; the text ids are those the rest of the program knows.

CREATE TABLE process (
    -- Names the lock file that the process holds while it lives.
    token   TEXT PRIMARY KEY,
    pid     INTEGER NOT NULL,
    started INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE conversation (
    no           INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    folder       TEXT NOT NULL,
    model        TEXT NOT NULL,
    base_url     TEXT NOT NULL,
    system       TEXT,
    -- As given; empty: `first_line` speaks.
    title        TEXT NOT NULL DEFAULT '',
    first_line   TEXT NOT NULL DEFAULT '',
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    -- Which was written to last, whatever the clock did.
    touched      INTEGER NOT NULL,
    head         INTEGER REFERENCES message(no) ON DELETE SET NULL,
    messages     INTEGER NOT NULL DEFAULT 0,
    calls        INTEGER NOT NULL DEFAULT 0,
    failed_calls INTEGER NOT NULL DEFAULT 0,
    tokens       INTEGER,
    pinned       INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    interrupted  INTEGER NOT NULL DEFAULT 0 CHECK (interrupted IN (0, 1)),
    deleted      INTEGER,
    titled       INTEGER NOT NULL DEFAULT 0 CHECK (titled IN (0, 1)),
    extra        TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX conversation_updated ON conversation (updated DESC, no DESC) WHERE deleted IS NULL;
CREATE INDEX conversation_created ON conversation (created DESC, no DESC) WHERE deleted IS NULL;
CREATE INDEX conversation_folder ON conversation (folder, updated DESC, no DESC) WHERE deleted IS NULL;
CREATE INDEX conversation_touched ON conversation (touched);
CREATE INDEX conversation_deleted ON conversation (deleted) WHERE deleted IS NOT NULL;
-- `titled`: whether the title stands in the search index as it is.
CREATE INDEX conversation_untitled ON conversation (no) WHERE titled = 0;

CREATE TABLE message (
    no           INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversation(no) ON DELETE CASCADE,
    -- Not a cascade: a long conversation would be deeper than SQLite follows one.
    parent       INTEGER REFERENCES message(no) ON DELETE SET NULL,
    at           INTEGER NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
    -- What a person would search for; empty for a tool's message, whose text is its call's.
    text         TEXT NOT NULL,
    -- JSON: a user's parts, or what an answer has beside its text; null for a tool's message.
    body         TEXT NOT NULL,
    -- Of a tool's message: its call.
    call         INTEGER REFERENCES call(no) ON DELETE CASCADE,
    -- Of an answer that still arrives, or was found so: 1.
    partial      INTEGER NOT NULL DEFAULT 0 CHECK (partial IN (0, 1)),
    indexed      INTEGER NOT NULL DEFAULT 0 CHECK (indexed IN (0, 1))
) STRICT;
CREATE INDEX message_conversation ON message (conversation, no);
CREATE INDEX message_parent ON message (parent);
CREATE INDEX message_call ON message (call) WHERE call IS NOT NULL;
CREATE INDEX message_unindexed ON message (no) WHERE indexed = 0;

CREATE TABLE turn (
    no           INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversation(no) ON DELETE CASCADE,
    -- Who runs it: a turn without an end whose process is gone is recovered.
    process      TEXT NOT NULL,
    started      INTEGER NOT NULL,
    ended        INTEGER,
    status       TEXT
) STRICT;
CREATE INDEX turn_conversation ON turn (conversation, no);
CREATE INDEX turn_open ON turn (no) WHERE status IS NULL;

CREATE TABLE round (
    turn   INTEGER NOT NULL REFERENCES turn(no) ON DELETE CASCADE,
    round  INTEGER NOT NULL,
    -- The id under which its answer will stand, and what it answers.
    answer TEXT NOT NULL,
    parent INTEGER REFERENCES message(no) ON DELETE SET NULL,
    times  TEXT,
    usage  TEXT,
    finish TEXT,
    PRIMARY KEY (turn, round)
) STRICT, WITHOUT ROWID;
CREATE INDEX round_answer ON round (answer);

CREATE TABLE call (
    no           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversation(no) ON DELETE CASCADE,
    id           TEXT NOT NULL,
    -- Null where it came with an imported message.
    turn         INTEGER REFERENCES turn(no) ON DELETE SET NULL,
    round        INTEGER,
    idx          INTEGER NOT NULL,
    wire_name    TEXT NOT NULL,
    server       TEXT,
    tool         TEXT,
    -- Null until they closed.
    arguments    TEXT,
    closed_by    TEXT,
    -- Microseconds since the turn began.
    opened       INTEGER,
    closed       INTEGER,
    asked        INTEGER,
    approved     INTEGER,
    sent         INTEGER,
    answered     INTEGER,
    -- The word of its outcome, what the model was told, and the rest of the outcome as JSON.
    kind         TEXT,
    content      TEXT,
    outcome      TEXT,
    UNIQUE (conversation, id)
) STRICT;
CREATE INDEX call_turn ON call (turn, round, idx);
CREATE INDEX call_equal ON call (conversation, server, tool);
CREATE INDEX call_kind ON call (kind, conversation);

-- Whole results, where the model was told less.
CREATE TABLE result (
    call INTEGER PRIMARY KEY REFERENCES call(no) ON DELETE CASCADE,
    full TEXT NOT NULL
) STRICT;

CREATE TABLE lease (
    conversation TEXT PRIMARY KEY,
    process      TEXT NOT NULL,
    since        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pin (
    entry      TEXT NOT NULL,
    server     TEXT NOT NULL,
    tool       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (entry, server, tool)
) STRICT, WITHOUT ROWID;

CREATE TABLE permission (
    entry  TEXT NOT NULL,
    server TEXT NOT NULL,
    tool   TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (entry, server, tool, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE learnt (
    base_url TEXT NOT NULL,
    model    TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (base_url, model, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE draft (
    -- `c:` and a conversation's id, or `f:` and a folder.
    owner TEXT PRIMARY KEY,
    text  TEXT NOT NULL,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE prompt (
    no   INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    at   INTEGER NOT NULL
) STRICT;

-- Three letters a token: finds any script, and any part of a word. Rowids are those of `message` and `conversation`.
CREATE VIRTUAL TABLE message_search USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'trigram');
CREATE VIRTUAL TABLE title_search USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'trigram');
