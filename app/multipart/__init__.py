"""Multipart forms: read under limits (``reader``), made structs (``form``), described in OpenAPI (``openapi``)."""

from app.multipart.form import read_form
from app.multipart.openapi import multipart_operation

__all__ = ["multipart_operation", "read_form"]
