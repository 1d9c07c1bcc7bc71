"""Where do names lead? Zone files and live DNS -> one NameService. May import: model and below."""
