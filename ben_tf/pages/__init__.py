"""HTML pages, each one self-contained file, from Jinja2 templates.

`page.render` fills a template. All pages share base.html.jinja, the macros of
parts.html.jinja, one style (page.css) and one script (page.js).
"""
