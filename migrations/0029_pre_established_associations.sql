-- Associations that stand as soon as the link does, without AARQ and AARE: what these would agree on is known beforehand, as attribute 5
-- (xDLMS_context_info) of the meter's association object tells it. There is no exchange in which anybody could be authenticated.
ALTER TABLE meter_associations
  ADD COLUMN pre_established boolean NOT NULL DEFAULT false,
  -- 24 bits, the first of them the most significant
  ADD COLUMN conformance integer CHECK (conformance BETWEEN 1 AND 16777215),
  -- octets that the meter takes in one APDU; 0: it sets no limit
  ADD COLUMN max_receive_pdu_size integer CHECK (max_receive_pdu_size BETWEEN 0 AND 65535),
  ADD CONSTRAINT meter_associations_pre_established CHECK (CASE WHEN pre_established
    THEN mechanism = 'none' AND conformance IS NOT NULL AND max_receive_pdu_size IS NOT NULL
    ELSE conformance IS NULL AND max_receive_pdu_size IS NULL END);
