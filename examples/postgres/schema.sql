-- One row for each object that the mirror has. The objects are json and not jsonb, which refuses some text that JSON allows.
CREATE TABLE IF NOT EXISTS factro_object (
  cloud    text,
  resource text,        -- task, package, project …
  id       text,
  object   json        NOT NULL, -- as factro's Core API sent it
  read_at  timestamptz,          -- when the bridge read it at factro; null if somebody else wrote the entry
  revision bigint      NOT NULL, -- of its entry in the bucket
  snapshot int         NOT NULL, -- the last one that had it
  PRIMARY KEY (cloud, resource, id)
);

-- How far each bucket is read. While a snapshot is not whole, the rows of the one before are still there.
CREATE TABLE IF NOT EXISTS factro_position (
  cloud    text PRIMARY KEY,
  bucket   text    NOT NULL, -- when it was made, by which it is known
  revision bigint  NOT NULL DEFAULT 0,
  snapshot int     NOT NULL DEFAULT 1,
  whole    boolean NOT NULL DEFAULT false -- whether all of the snapshot was read
);
