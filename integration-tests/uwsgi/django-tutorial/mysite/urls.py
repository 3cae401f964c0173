from django.http import JsonResponse
from django.urls import path


def index(request):
    return JsonResponse({"method": request.method, "uri": request.build_absolute_uri(), "length": len(request.body)})


urlpatterns = [path("", index)]
