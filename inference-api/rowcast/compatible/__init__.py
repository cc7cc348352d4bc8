"""The objects of other systems, over `rowcast.serving`: their programs need only another import.

    flexflow   LLM, SSM, GenerationConfig          instead of `flexflow.serve`
    easydel    vInference, vInferenceApiServer, …  instead of `easydel`

Each module is an adapter without logic of its own; nothing else in `rowcast` knows this package.
docs/coming-from/ lists what each argument does here.
"""
