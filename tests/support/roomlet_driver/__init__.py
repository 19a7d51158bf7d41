"""Drives roomlet host programs and Synapse from tests: real processes, real HTTPS, on loopback.

`Host` speaks the example hosts' line protocol, `Synapse` runs the reference homeserver beside them,
`Authority` issues the certificates that both trust, and `eventually` waits for what servers agree on in their
own time.
"""

from .authority import Authority, Certificate
from .host import Host, HostError, HostGone, HostKind
from .ports import free_port
from .room_view import compare_lines, same_state, state_ids
from .synapse import Synapse, SynapseError, SynapseUser
from .waiting import eventually

__all__ = [
    "Authority",
    "Certificate",
    "Host",
    "HostError",
    "HostGone",
    "HostKind",
    "Synapse",
    "SynapseError",
    "SynapseUser",
    "compare_lines",
    "eventually",
    "free_port",
    "same_state",
    "state_ids",
]
