"""What people see: HTML with inline SVG, terminal tables, JSON documents."""

__all__: list[str] = []
