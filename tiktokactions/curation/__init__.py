"""Curation: one raw video in, one record and (where it qualifies) one clip out, in one decode."""
