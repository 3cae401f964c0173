"""Hands records of logging over that would be written to the server's streams."""

import logging


def install(output_stream, errors, take):
    """Changes what StreamHandler writes, and nothing else: levels, filters and handlers stay the application's."""
    write = logging.StreamHandler.emit

    def emit(self, record):
        try:
            # Flask's handler has a proxy in place of the stream.
            stream = self.stream
            target = stream if isinstance(stream, errors) else getattr(stream, "buffer", None)
        except Exception:
            target = None
        if not isinstance(target, (output_stream, errors)):
            return write(self, record)
        try:
            take(target, str(record.name), record.levelno, record.getMessage(), exception_of(self, record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def exception_of(handler, record):
        formatter = handler.formatter or logging.Formatter()
        if record.exc_info and not record.exc_text:
            record.exc_text = formatter.formatException(record.exc_info)
        parts = [record.exc_text or ""]
        if record.stack_info:
            parts.append(formatter.formatStack(record.stack_info))
        return "\n".join(part for part in parts if part)

    emit.__doc__ = write.__doc__
    logging.StreamHandler.emit = emit
