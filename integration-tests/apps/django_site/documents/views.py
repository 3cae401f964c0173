from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import modelform_factory
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from documents.models import Document

DocumentForm = modelform_factory(Document, fields=["title", "file"])


def index(request):
    """The front page; a visitor who is logged in sees documents and can add one."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    documents = Document.objects.filter(owner=request.user) if request.user.is_authenticated else []
    return render(request, "documents/index.html", {"documents": documents, "form": DocumentForm()})


@login_required
def add(request):
    """Stores an uploaded file."""
    form = DocumentForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        form.instance.owner = request.user
        document = form.save()
        messages.success(request, f"{document.title}: {document.file.size} bytes")
        return redirect("index")
    return render(request, "documents/add.html", {"form": form}, status=400 if request.method == "POST" else 200)


@login_required
def download(request, pk):
    """Sends the file itself: Django uses wsgi.file_wrapper."""
    document = get_object_or_404(Document, pk=pk, owner=request.user)
    return FileResponse(document.file.open(), as_attachment=True, filename=document.title)


@login_required
def by_nginx(request, pk):
    """Lets nginx send the file, once it is clear that this user may have it."""
    document = get_object_or_404(Document, pk=pk, owner=request.user)
    return HttpResponse(headers={"X-Accel-Redirect": f"/protected/{document.file.name}"})


def export(request):
    """A table made row by row while it is sent."""

    def rows():
        yield "number,square\n"
        for number in range(int(request.GET.get("rows", 10))):
            yield f"{number},{number * number}\n"

    return StreamingHttpResponse(rows(), content_type="text/csv", headers={"X-Accel-Buffering": "no"})


def broken(request):
    raise RuntimeError("broken on purpose")
