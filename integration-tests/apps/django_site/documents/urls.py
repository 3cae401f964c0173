from django.urls import path

from documents import views

urlpatterns = [
    path("", views.index, name="index"),
    path("documents/add", views.add, name="add"),
    path("documents/<int:pk>/download", views.download, name="download"),
    path("documents/<int:pk>/by-nginx", views.by_nginx, name="by-nginx"),
    path("export", views.export, name="export"),
    path("broken", views.broken, name="broken"),
]
