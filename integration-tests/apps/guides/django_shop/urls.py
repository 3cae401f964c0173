from django.urls import path

from . import views

urlpatterns = [
    path("metrics", views.show_metrics),
    path("orders/<article>", views.order),
    path("seen", views.seen),
    path("broken", views.broken),
]
