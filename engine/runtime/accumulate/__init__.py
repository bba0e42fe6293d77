"""What becomes of a leaf's gradient: the policies, and the choice between them.

A policy receives each gradient once, in whatever thread completed it, and commits in the thread of
the caller after the whole backward has succeeded. A policy that only stages until then leaves
everything as it was when the backward raises, and takes no lock in a worker: a caller may hold
``Leaf.lock`` around a backward that workers help.
"""

from .choice import POLICIES as POLICIES
from .choice import accumulation as accumulation
from .choice import chosen_policy as chosen_policy
from .choice import current_tickets as current_tickets
from .choice import reserve as reserve
from .choice import set_accumulation as set_accumulation
from .locked import Locked as Locked
from .policy import Capture as Capture
from .policy import Policy as Policy
from .policy import Staged as Staged
from .racy import Racy as Racy
from .reproducible import Reproducible as Reproducible
from .reserved import Reserved as Reserved
from .tickets import Pending as Pending
from .tickets import Tickets as Tickets
