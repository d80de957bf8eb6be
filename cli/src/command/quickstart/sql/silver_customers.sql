-- Customers that pass every check, each once.
INSERT INTO lake.silver.customers
WITH checked AS (
  SELECT *,
    CASE
      WHEN name IS NULL THEN 'name is missing'
      WHEN TRY_CAST(signup_date AS DATE) IS NULL THEN 'signup_date is not a date'
    END AS reason
  FROM lake.bronze.customers
)
SELECT DISTINCT
  TRY_CAST(customer_id AS BIGINT) AS customer_id,
  name,
  email,
  country,
  TRY_CAST(signup_date AS DATE) AS signup_date
FROM checked
WHERE reason IS NULL
