"""Data sources: simulated dijets, LHC Olympics files, any table of columns, and a toy in closed form."""
