"""A small guest book: forms, sessions, uploads, downloads and a stream, as Flask applications do them."""

import hashlib
import os
import time

from flask import Flask, Response, abort, flash, jsonify, redirect, render_template, request, send_file, session, url_for

FOLDER = os.environ.get("FLASK_APP_DATA", "flask-data")

app = Flask(__name__)
app.secret_key = os.environ.get("FLASK_APP_SECRET", "for tests and demonstrations only")
app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024


@app.get("/")
def index():
    session["visits"] = session.get("visits", 0) + 1
    return render_template("index.html", visits=session["visits"], uploads=uploads())


@app.post("/sign")
def sign():
    name = request.form["name"].strip()
    if not name:
        abort(400, "a name, please")
    session["name"] = name
    flash(f"Welcome, {name}!")
    return redirect(url_for("index"))


@app.post("/upload")
def upload():
    file = request.files["file"]
    content = file.read()
    name = hashlib.sha256(content).hexdigest()[:16]
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, name), "wb") as copy:
        copy.write(content)
    if request.accept_mimetypes.best == "application/json":
        return jsonify(name=name, filename=file.filename, length=len(content)), 201
    flash(f"{file.filename}: {len(content)} bytes")
    return redirect(url_for("index"))


@app.get("/uploads/<name>")
def download(name):
    if name not in uploads():
        abort(404)
    return send_file(os.path.abspath(os.path.join(FOLDER, name)), as_attachment=True, download_name=name)


@app.get("/clock")
def clock():
    """A line per second, each seen as it is written."""
    count, pause = request.args.get("lines", 5, int), request.args.get("pause", 1.0, float)

    def lines():
        for left in range(count, 0, -1):
            yield f"{left} to go, {time.strftime('%H:%M:%S')}\n"
            if left > 1:
                time.sleep(pause)

    return Response(lines(), mimetype="text/plain", headers={"X-Accel-Buffering": "no"})


@app.route("/about", methods=["GET", "POST", "PUT", "DELETE"])
def about():
    """What Flask makes of the request."""
    return jsonify(
        method=request.method,
        url=request.url,
        path=request.path,
        script_root=request.script_root,
        args=request.args.to_dict(flat=False),
        form=request.form.to_dict(flat=False),
        json=request.get_json(silent=True),
        cookies=request.cookies,
        remote_addr=request.remote_addr,
        link=url_for("about", _external=True),
    )


@app.get("/broken")
def broken():
    raise RuntimeError("broken on purpose")


def uploads():
    return sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []
