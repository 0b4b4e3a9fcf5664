"""Import of a whole server from a Synapse's database and its media store.

    SynapseImport.run ── Step.batches ── source.read(…)     a batch of a Synapse's rows, in the order of a key
                      └─ target.write(batch, checkpoint)    in one transaction: so it goes on where it was

A step is one noun. Steps are done in the order in which ``app/composition/synapse_import.py`` names them, and
then each compares what is here with what is there.
"""
