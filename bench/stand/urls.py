"""Every address of the product, and one that signs in and does nothing more."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from krakapp.urls import urlpatterns as product


class Nothing(APIView):
    """What an order is measured against: the same sign-in, the same server, no work."""

    def post(self, request: Request) -> Response:
        """Answer with an empty object."""
        return Response({})


urlpatterns = [path("bench/nothing", Nothing.as_view()), *product]
