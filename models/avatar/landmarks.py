class Landmarks:
    pass
