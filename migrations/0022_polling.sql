-- How a meter is reached where it doesn't call itself.
ALTER TABLE public.meters
  ADD COLUMN transport text NOT NULL DEFAULT 'tcp' CHECK (transport IN ('tcp', 'udp', 'serial')),
  -- lower HDLC address; null: an address of one octet, the logical device alone
  ADD COLUMN physical_address integer CHECK (physical_address BETWEEN 0 AND 16383),
  -- behind a gateway (E6, E7): its network and the meter's address there, in hex
  ADD COLUMN gateway_network_id smallint CHECK (gateway_network_id BETWEEN 0 AND 255),
  ADD COLUMN gateway_address text CHECK (gateway_address ~ '^([0-9a-f]{2}){1,64}$');

-- Counters that we send under a key of ours: everything up to `reserved` may have been used. A key has one counter, whichever
-- association uses it: the same counter twice under one key and title would give the key away.
CREATE TABLE sent_counters (
  key_id integer PRIMARY KEY REFERENCES meter_keys ON DELETE CASCADE,
  reserved bigint NOT NULL CHECK (reserved BETWEEN 0 AND 4294967295)
) WITH (fillfactor = 50);

-- Highest counters that meters have sent us in associations, beside those of pushes.
CREATE TABLE association_counters (
  key_id integer NOT NULL REFERENCES meter_keys ON DELETE CASCADE,
  client_sap smallint NOT NULL,
  received bigint NOT NULL CHECK (received BETWEEN 0 AND 4294967295),
  PRIMARY KEY (key_id, client_sap)
) WITH (fillfactor = 50);

-- What meters of a type refuse although they have agreed on it, found out by trying.
CREATE TABLE meter_type_quirks (
  meter_type text NOT NULL REFERENCES meter_types ON UPDATE CASCADE ON DELETE CASCADE,
  quirk text NOT NULL CHECK (quirk IN ('with_list_refused', 'range_refused', 'entry_refused')),
  learned_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (meter_type, quirk)
);

-- Application context of an association: auto goes by its mechanism and keys.
ALTER TABLE meter_associations
  ADD COLUMN context text NOT NULL DEFAULT 'auto' CHECK (context IN ('auto', 'plain', 'ciphered'));
