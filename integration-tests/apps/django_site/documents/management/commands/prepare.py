import os

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Makes everything the site needs to run: folders, database, static files and the administrator."

    def handle(self, *args, **options):
        os.makedirs(settings.MEDIA_ROOT, exist_ok=True)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        name, password = "admin", os.environ.get("DJANGO_SITE_PASSWORD", "admin")
        if not get_user_model().objects.filter(username=name).exists():
            get_user_model().objects.create_superuser(name, password=password)
