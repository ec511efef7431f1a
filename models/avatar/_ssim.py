import torch
from functools import lru_cache
@lru_cache(512)
def bm(n):
    a=torch.arange(n).float(); d=a[:,None]-a[None]; m=torch.exp(-.5*(d/1.5)**2)*(d.abs()<=5); return m/m.sum(1,keepdim=True)
def ssim(a,b):
    a=a.permute(2,0,1); b=b.permute(2,0,1)
    x=torch.stack((a,b,a*a,b*b,a*b)); x=bm(x.shape[2])@x@bm(x.shape[3]).T
    ma,mb,aa,bb,ab=x
    va,vb,cv=aa-ma*ma,bb-mb*mb,ab-ma*mb
    return (((2*ma*mb+1e-4)*(2*cv+9e-4))/((ma*ma+mb*mb+1e-4)*(va+vb+9e-4))).mean()
