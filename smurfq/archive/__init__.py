"""The registrar: registers the files of the site in a SupRsync database, from which socs's SupRsync agents copy them.

``placement`` decides where a file goes in the archive, ``checksum`` reads it, ``database`` writes the rows, and
``registrar`` takes the messages from the archive list in Redis. ``duty`` elects one registrar, ``process`` starts it.
"""
