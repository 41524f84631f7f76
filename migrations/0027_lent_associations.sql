-- Associations with meters that a daemon opens for a command: over the connection that the meter has opened, which ends in the daemon, and within
-- its limits. A row lives as long as the command; nothing of it is worth keeping after a crash.
CREATE UNLOGGED TABLE lent_associations (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  client_sap smallint NOT NULL,
  -- which of the meter's keys protect it
  key_state text NOT NULL DEFAULT 'ACTIVE' CHECK (key_state IN ('ACTIVE', 'NEW')),
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- the command renews it; afterwards it is gone
  wanted_until timestamptz NOT NULL,
  -- the daemon that lends; where none does, the command itself
  lender uuid,
  lent_until timestamptz,
  -- done: the command needs it no longer; the lender releases it and deletes the row
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'open', 'failed', 'done')),
  conformance integer,
  -- as the meter gave it in the association, in hex
  system_title text,
  failure text,
  reason text
);

CREATE INDEX lent_associations_meter ON lent_associations (meter_id);

-- What is asked over them, in order.
CREATE UNLOGGED TABLE lent_requests (
  association_id bigint NOT NULL REFERENCES lent_associations ON DELETE CASCADE,
  position integer NOT NULL,
  request jsonb NOT NULL,
  progress jsonb,
  answer jsonb,
  PRIMARY KEY (association_id, position)
);
