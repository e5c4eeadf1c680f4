"""Why a model of the turbulence index says what it says.

| room | what | |---|---| | `waves` | images without a band of wave numbers, with their phases
alone, with their amplitudes alone; numpy only | | `treatments` | what is left of any model's
accuracy on such images, networks and baselines alike | | `gradients` | saliency and integrated
gradients of a network, and the same of one whose weights were randomised | | `embedding` | features
of images drawn in a plane |

For a stationary field a map of pixels says little: every place is as good as another. Which waves
the answer needs is the question, and whether these are waves that the simulation has right.
"""
