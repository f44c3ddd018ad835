//! Configuration: a commented default file, overlaid by the environment, validated at start.
