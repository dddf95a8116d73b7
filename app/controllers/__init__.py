"""HTTP controllers: decode the request, call a use case, render the result. No policy lives here."""
