"""How an attempt is kept whose process died: as SQL, for the statements that find one out."""

from .attempt_sql import KEPT_ATTEMPTS

#: `attempts` with the one under way added as lost; the oldest makes room.
LOST_ATTEMPT = f"""
    CASE WHEN jsonb_array_length(attempts) < {KEPT_ATTEMPTS} THEN attempts ELSE attempts - 0 END
    || jsonb_build_object(
           'number', coalesce((attempts->-1->>'number')::int, 0) + 1, 'leg', legs + 1,
           'message_id', message_id, 'started_at', started_at, 'outcome', 'lost',
           'error', 'the process died or was cut off, and its lease ran out')
"""

#: How many attempts at the present leg were lost, the one under way included.
LOST_COUNT = """
    (SELECT 1 + count(*) FROM jsonb_array_elements(attempts) AS kept
      WHERE kept->>'outcome' = 'lost' AND coalesce((kept->>'leg')::int, 1) = legs + 1)
"""
