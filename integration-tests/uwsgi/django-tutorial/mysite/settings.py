SECRET_KEY = "for a test"
ALLOWED_HOSTS = ["example.com"]
ROOT_URLCONF = "mysite.urls"
