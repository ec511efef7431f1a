"""Presets, as data: `<name>.yaml`."""
