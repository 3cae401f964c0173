from seen import application

app = application
