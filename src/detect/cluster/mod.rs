//! Cluster: where, and since when, do cases lie too close together?
