"""The two processes of our own: the supervisor and the provisioner of volumes.

They are Python on the standard library alone, though the control plane is Go:
where the binaries are downloaded there is no Go binary of ours,
and an interpreter without site-packages starts in 20 ms and takes little memory.
They are two processes because the supervisor must stay free of threads,
so that what it does between fork and exec of a child is safe.
"""
