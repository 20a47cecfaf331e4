"""What a drill tells: tables, pages, plots."""
