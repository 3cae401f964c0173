from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return "index"


@app.get("/hello")
def hello():
    return f"Hello, {request.args['name']}, from {request.url}"


@app.post("/form")
def form():
    return {"name": request.form["name"], "agent": request.headers.get("User-Agent")}
