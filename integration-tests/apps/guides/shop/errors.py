import os

import sentry_sdk

# Without a SENTRY_DSN nothing is sent.
sentry_sdk.init(dsn=os.environ.get("SENTRY_DSN"), release=os.environ.get("RELEASE"))


def with_request_id(application):
    """Gives each event the ID that scoter and nginx log for its request."""

    def tagged(environ, start_response):
        sentry_sdk.get_isolation_scope().set_tag("request_id", environ.get("scoter.request_id"))
        return application(environ, start_response)

    return tagged
