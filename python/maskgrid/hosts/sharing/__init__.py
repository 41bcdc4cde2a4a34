"""One pass of a network over what all forks share, then each fork's window alone.

Outside its cell a fork's network input is the same noised sheet as every other's. `SharedNetwork` runs the
network once over that base and keeps what its layers read; each fork then pays for its window, which finds
in every layer what lies around it: convolutions their border, GroupNorm the statistics of the canvas,
self-attention the keys and values of all other tokens.
"""

from maskgrid.hosts.sharing.shared_network import Sharing

__all__ = ["Sharing"]
