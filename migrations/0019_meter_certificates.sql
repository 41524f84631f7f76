-- Certificates with which meters sign what they push (general-signing). Public, and so in clear.
CREATE TABLE meter_certificates (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  -- X.509, DER
  certificate bytea NOT NULL,
  serial_number text NOT NULL,
  subject text NOT NULL,
  issuer text NOT NULL,
  not_before timestamptz NOT NULL,
  not_after timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (meter_id, issuer, serial_number)
);

CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON meter_certificates
  FOR EACH ROW EXECUTE FUNCTION notify_meter();
