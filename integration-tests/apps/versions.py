"""An application in many versions, each a line of code that a test writes and replaces."""

from probe import by_path, event, plain, wait_at


def serving(number):
    """Makes version `number` of the application."""

    def version(environ, start_response):
        return plain(start_response, str(number))

    def waits(environ, start_response):
        """Answers as `version` does, when the gate named by the query opens."""
        event("begun " + environ["QUERY_STRING"])
        wait_at(environ["QUERY_STRING"])
        return plain(start_response, str(number))

    return by_path(version, waits)
