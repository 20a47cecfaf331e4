"""What a drill tells: tables, pages, drawings."""
