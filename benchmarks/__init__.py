"""What `make bench` measures: smurfq on a site of its own, each figure beside its baseline of the same run.

``figures`` are the table and its numbers, ``peer`` what OCS was measured to do, ``site`` the site under test; each
other module measures one thing and returns its rows. ``bench_bridge`` is the bridge's own, without a worker.
"""
