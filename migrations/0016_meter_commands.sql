-- What was done to meters: a command is one intention, its steps are the attributes written and methods called for it.
CREATE TABLE meter_commands (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('clock', 'push-setup', 'relay')),
  client_sap smallint NOT NULL,
  -- sent: on its way, and where it stays so, nobody knows whether the meter took it; differs: the meter said yes and holds something else
  state text NOT NULL DEFAULT 'requested'
    CHECK (state IN ('requested', 'sent', 'verified', 'differs', 'refused', 'failed')),
  requested jsonb NOT NULL,
  reason text,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at timestamptz,
  finished_at timestamptz
);

CREATE INDEX meter_commands_meter ON meter_commands (meter_id, requested_at DESC);

CREATE TABLE meter_command_steps (
  command_id bigint NOT NULL REFERENCES meter_commands ON DELETE CASCADE,
  position smallint NOT NULL,
  class_id integer NOT NULL,
  logical_name text NOT NULL,
  attribute smallint,
  method smallint,
  -- Data as `hes decode --json` writes it; null: not read
  before jsonb,
  written jsonb,
  after jsonb,
  state text NOT NULL DEFAULT 'sent' CHECK (state IN ('sent', 'verified', 'differs', 'refused', 'failed')),
  reason text,
  sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  PRIMARY KEY (command_id, position),
  CHECK ((attribute IS NULL) <> (method IS NULL))
);
