"""What a run needs beside it: broker, gateway, interpreters."""
