"""The threaded room: runs backward passes, and knows nodes, edges and values but no mathematics.

Guarantees of this room:

* One backward gives the same bits for every schedule and number of workers: contributions to a node
  are folded in the order a sequential run would use, whoever computed them and whenever they came.
* No engine lock is held while a rule, a hook or an observer runs. One lock is held at a time.
* After an error nothing of that backward is written any more, and the pool stays usable.
* A submitted task ends cancelled, with nothing committed since, or done; which, is decided once.

Locks, each a leaf of the lock order (none is taken while another is held): ``Leaf.lock``,
``GraphTask.lock``, ``WorkerPool._lock``, ``Handle._lock``, ``Tickets._lock``, ``Reserved._lock``,
``Counter._lock``, and the locks of modules (``sync.process_lock``).
"""
