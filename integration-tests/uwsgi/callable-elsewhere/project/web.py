from seen import application

server = application
