"""The form of a job's note."""

import struct

#: When a job was sent and when its handler ended, both in nanoseconds since 1970.
NOTE = struct.Struct("<qq")
