-- Products that pass every check, each once.
INSERT INTO lake.silver.products
WITH checked AS (
  SELECT *,
    CASE
      WHEN TRY_CAST(price AS DECIMAL(10, 2)) IS NULL THEN 'price is not a number'
      WHEN TRY_CAST(price AS DECIMAL(10, 2)) <= 0 THEN 'price is not positive'
    END AS reason
  FROM lake.bronze.products
)
SELECT DISTINCT
  product_id,
  name,
  category,
  TRY_CAST(price AS DECIMAL(10, 2)) AS price,
  TRY_CAST(added_on AS DATE) AS added_on
FROM checked
WHERE reason IS NULL
