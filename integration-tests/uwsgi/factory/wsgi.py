from seen import application


def create_app():
    return application
